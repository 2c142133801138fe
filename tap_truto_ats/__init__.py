"""Singer tap for the applicant tracking systems connected through Truto's unified ATS API."""
