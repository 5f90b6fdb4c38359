"""State, behind promises (`ports`). A room that keeps something takes a promise; only `config.build` names a
backend."""
