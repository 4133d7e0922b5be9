"""Sessions of people who signed in, and the roles that `percall.toml` gives them."""

from __future__ import annotations

import time

from streamlit.testing.v1 import AppTest

AUTH = {
    "redirect_uri": "https://costs.example.com/oauth2callback",
    "cookie_secret": "a long secret of this test",
    "client_id": "percall",
    "client_secret": "secret",
    "server_metadata_url": "https://login.example.com/.well-known/openid-configuration",
}
PEOPLE = '[people]\nadmin = ["ann@example.com"]\nanalyst = ["ben@example.com"]\n'


def signed_in(app: AppTest, email: str, **claims: object) -> AppTest:
    """A session of somebody who signed in just now."""
    app.secrets["auth"] = AUTH
    said = {
        "is_logged_in": True,
        "email": email,
        "email_verified": True,
        "iat": time.time(),
        "sub": email,
        "provider": "default",
    }
    app.user = {**said, **claims}
    return app
