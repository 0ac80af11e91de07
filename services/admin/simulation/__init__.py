"""An activity played in advance, on the engine that draws."""
