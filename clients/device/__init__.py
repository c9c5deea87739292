"""Gateways at the clinic: they bring an ECG machine and an ultrasound machine into a room."""
