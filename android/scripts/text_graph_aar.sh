#!/usr/bin/env bash
# Builds app/libs/text-graph.aar: TensorFlow Lite with Select TF and TF Text, for the classic
# autocomplete.tflite. Not run by Foreword's tests: it takes Bazel, the Android SDK and NDK, about
# 40 GB and some hours. Follows TensorFlow's guide "Reduce TensorFlow Lite binary size".
#
#   android/scripts/text_graph_aar.sh TENSORFLOW MODEL [OPTION…]
#
# TENSORFLOW is a checkout of TensorFlow at v2.16.1, already configured for Android by its own
# ./configure; MODEL the autocomplete.tflite, whose operators are looked up and built in. Options go
# to build_aar.sh: its --tflite_custom_ops_srcs and --tflite_custom_ops_deps are the place for the
# operators of a checkout of TF Text at v2.16.1, made known to Bazel in TENSORFLOW's WORKSPACE.
set -euo pipefail

tensorflow=${1:?expected a checkout of TensorFlow}
model=$(realpath "${2:?expected an autocomplete.tflite}")
libraries=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/app/libs

cd "$tensorflow"
bash tensorflow/lite/tools/build_aar.sh \
  --input_models="$model" \
  --target_archs=arm64-v8a \
  "${@:3}"
mkdir -p "$libraries"
cp bazel-bin/tmp/tensorflow-lite.aar "$libraries/text-graph.aar"
cp bazel-bin/tmp/tensorflow-lite-select-tf-ops.aar "$libraries/text-graph-select-tf.aar"
printf '%s\n' "now take libs.litert out of app/build.gradle.kts: it has the same classes"
