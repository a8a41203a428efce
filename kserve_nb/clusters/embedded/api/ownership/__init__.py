"""Which field manager owns which field, and how fields are merged. Imports only modules beside these folders."""
