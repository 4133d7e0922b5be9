"""Alerts: what is worth telling (`subjects`), in which words (`message`), and by which way (`channels`).

`telling` puts what is new into the outbox and sends what is due. To whom, when and from which amount on: `analytics.alert_settings`.
"""
