"""Each era is a pure translator: frames ↔ Call, Event, Outcome. They meet transports in sdk and gateway only."""
