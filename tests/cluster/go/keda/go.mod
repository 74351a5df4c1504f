// Not built: the module is the source of KEDA's custom resource
// definitions (config/crd/bases), which the tests apply unchanged.
module lazaretto.dev/tests/cluster/go/keda

go 1.26.0

require github.com/kedacore/keda/v2 v2.20.2
