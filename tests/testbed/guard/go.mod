module hcb.dev/testbed/guard

go 1.24.0

tool hcb.dev/testbed/guard
