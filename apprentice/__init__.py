"""The domain of Apprentice: what it decides, and the messages it speaks. No I/O, no clock, no coin of its own."""
