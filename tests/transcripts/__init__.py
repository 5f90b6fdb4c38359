"""What goes over the wire, in order, in each scenario: one text file a scenario, compared with what is really said."""
