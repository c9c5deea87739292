"""A consult from the first call to the kept record: states, people, opinion, consent."""
