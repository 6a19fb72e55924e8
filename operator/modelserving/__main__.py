"""`python -m modelserving`: the command line."""

from modelserving.cli.main import main

if __name__ == "__main__":
    main()
