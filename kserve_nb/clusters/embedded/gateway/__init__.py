"""The ingress gateway: a real Envoy, told by files what the cluster's ingress objects ask for."""
