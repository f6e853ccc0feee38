"""Files for the browser's side of a component: kept once for all sessions, named by their content."""

from __future__ import annotations

import streamlit as st
from streamlit.runtime import get_instance


def address_of(content: bytes, type: str, place: str) -> str:
    """The address under which the browser finds some bytes, until this place of the page holds others.

    The browser keeps what it fetched, as another content has another address.
    """
    address = get_instance().media_file_mgr.add(content, type, place)
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}{address}" if base else address
