"""What vLLM accepts and does, by version: defaults, methods, rules, flags, refusals. vLLM itself is never imported."""
