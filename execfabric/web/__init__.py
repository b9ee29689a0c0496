"""The console shell: layout, components, forms from schemas, static assets, error pages."""
