"""How much each tenant uses: counted in turn by the clock, so that no page asks every schema."""
