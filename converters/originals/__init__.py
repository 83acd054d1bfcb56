"""Models as their framework wrote them: what each is recognised by, converted with and run with."""
