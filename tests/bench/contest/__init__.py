"""One lottery, drawn from through JSON, by Kuji and by what others would write."""
