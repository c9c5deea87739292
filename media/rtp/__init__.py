"""RTP and RTCP as bytes and numbers: packets, feedback, clocks, codec payloads. No I/O, no clock."""
