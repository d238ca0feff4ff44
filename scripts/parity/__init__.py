"""The parts of make_parity.py: cases, drawing of tensors, references, the sensitivity gate, sampling tables."""
