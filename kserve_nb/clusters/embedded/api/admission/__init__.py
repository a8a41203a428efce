"""Admission: defaults, webhooks and validation of an object before it is stored. Imports `columns`, `schema` and below.

`chain` applies the steps in the API server's order. A folder holds the rules of each project: `kubernetes`, `knative`,
`kserve`. `unsupported` refuses what the embedded cluster cannot run. docs/admission.md lists every rule with its test.
"""
