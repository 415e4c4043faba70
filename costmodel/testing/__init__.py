"""Tools for tests of operators and graphs; they need the extra ``testing`` (hypothesis)."""
