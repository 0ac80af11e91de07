"""Load tests as ghz makes them: its options and files, its schedules, its reports."""
