"""Facility descriptions: the XML dialect in which LTT described events from 2003 to 2007."""
