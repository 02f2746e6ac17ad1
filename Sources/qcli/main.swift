print("qcli")
