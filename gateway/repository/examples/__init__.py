"""What an application needs to call a model: ready-made calls, a typed client, and an OpenAPI description."""
