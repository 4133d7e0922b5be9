"""Alerts: what is worth telling (`subjects`), in which words (`message`), to whom and when (`settings`), and by which way (`channels`).

`telling` puts what is new into the outbox; `delivery` sends what is due.
"""
