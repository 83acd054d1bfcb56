"""What a build did, as Markdown, HTML with charts and JUnit."""
