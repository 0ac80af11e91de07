"""
What Kuji is measured against: the same lottery as a good engineer writes it first.

Each is a FastAPI application that takes and gives the JSON of POST /api/lottery/draw, checks the
same (token, activity, time, draws of the user), and has the means its kind would have: uvloop,
httptools, pools of connections, prepared statements, a script loaded once. `__main__` runs one.
"""
