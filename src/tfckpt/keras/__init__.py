"""Files of Keras: the only room that knows HDF5."""
