"""GFN1-xTB and GFN2-xTB through tblite, in process."""
