"""What is told: records, the audit with its verdicts, tables, figures and the pages of the report."""
