"""Models of keras.applications with random weights, saved by Keras 2; runs in ``tf2.15``."""

import numpy as np
import tensorflow as tf
from keras.src.applications import efficientnet, mobilenet_v2, resnet


def _randomize(model, seed):
    """Weights, and statistics of normalizations too, that keep the size of what goes through."""
    random = np.random.default_rng(seed)

    def value(name, shape):
        numbers = random.standard_normal(shape)
        if "variance" in name:
            return 1 + 0.5 * np.abs(numbers)
        if "gamma" in name:
            return 1 + 0.2 * numbers
        if "kernel" in name:
            fan_in = np.prod(shape[:2]) if "depthwise" in name else np.prod(shape[:-1])
            return numbers / np.sqrt(fan_in)
        return 0.2 * numbers

    for layer in model.layers:
        if not isinstance(layer, tf.keras.layers.Normalization):
            layer.set_weights([value(weight.name, weight.shape) for weight in layer.weights])


def _saved(model, prefix, seed, images):
    _randomize(model, seed)
    model.save_weights(prefix)
    model.save_weights(prefix + ".h5")
    return model(np.float32(images), training=False).numpy().tolist()


def keras_resnet(prefix, seed, depths, images):
    """The first stages of ResNet50, by the same function that makes all of it."""
    def stages(x):
        for number, depth in enumerate(depths):
            x = resnet.stack1(x, 64 << number, depth, 2 if number else 1, f"conv{number + 2}")
        return x

    model = resnet.ResNet(stages, False, True, "small", weights=None, classes=5,
                          input_shape=np.shape(images)[1:], classifier_activation=None)
    return _saved(model, prefix, seed, images)


def keras_efficientnet(prefix, seed, images):
    """EfficientNetB0; pixels are from 0 to 255, and become 0 to 1 in the model."""
    model = efficientnet.EfficientNetB0(weights=None, classes=5, classifier_activation=None,
                                        input_shape=np.shape(images)[1:])
    return _saved(model, prefix, seed, images)


def keras_mobilenet(prefix, seed, images):
    """MobileNetV2 of the least width."""
    model = mobilenet_v2.MobileNetV2(weights=None, classes=5, classifier_activation=None,
                                     alpha=0.35, input_shape=np.shape(images)[1:])
    return _saved(model, prefix, seed, images)
