"""What TensorFlow calls ``tf.train``, under the same names and with the same answers."""
