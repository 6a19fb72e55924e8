"""Where facts of models come from: the only importer of `huggingface_hub`."""
