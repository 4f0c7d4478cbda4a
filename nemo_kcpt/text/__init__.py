"""Knowledge about text that several stages share; imports nothing but the base.

plain        the forms in which texts are compared, with each character's place in the original
figures      numerals as people write them in Japanese and English, without their units
units        what a number measures
quantities   the numbers of a text: figure, unit, sign, range, exactness
agreement    whether two numbers say the same
encodings    the encoding that bytes are in, and their text
front_matter the fields before a Markdown text
"""
