// Not built: the module is the source of Gateway API's custom resource
// definitions (config/crd/standard), which the tests apply unchanged.
module lazaretto.dev/tests/cluster/go/gateway-api

go 1.26.0

require sigs.k8s.io/gateway-api v1.6.1
