"""What a model is: config.json and safetensors headers become facts."""
