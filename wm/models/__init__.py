"""Models in torch: mlp, lstm, mamba2. Only `config` may be imported without torch."""
