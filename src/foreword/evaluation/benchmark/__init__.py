"""Speed and memory of a bundle, beside another model in the same run: `foreword benchmark`."""
