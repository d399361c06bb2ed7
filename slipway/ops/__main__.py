"""`python -m slipway.ops VERB`; `make help` lists the verbs."""

from slipway.ops import verbs

if __name__ == "__main__":
    verbs.main()
