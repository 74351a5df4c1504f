// Not built: the module is the source of Argo CD's custom resource
// definitions (manifests/crds), which the tests apply unchanged.
module lazaretto.dev/tests/cluster/go/argo-cd

go 1.26.0

require github.com/argoproj/argo-cd/v3 v3.5.1
