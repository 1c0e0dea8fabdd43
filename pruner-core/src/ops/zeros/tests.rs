//! How zeros pass through the rows.
