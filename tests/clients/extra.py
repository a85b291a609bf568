import os
import axis_client
from axis_client import CannotRead

server = "http://127.0.0.1:7401"
for number in ("4", "5", "6"):
    os.system(f"python example.py sample {number} 300 work/{number}.edxml > /dev/null")
key = open("work/so-noi-vu.key").read().strip()
with axis_client.connect(server, system="so-noi-vu", key=key) as axis:
    for number in ("4", "5", "6"):
        axis.push(open(f"work/{number}.edxml", "rb").read())
        print("accepted")


def handle(header, path):
    if header.document.number == "5":
        print("cannot read")
        raise CannotRead("tệp hỏng (damaged)")


key = open("work/so-tai-chinh.key").read().strip()
with axis_client.connect(server, system="so-tai-chinh", key=key) as axis:
    print("taken", axis.subscribe("work/more", handle, credit=1))
    cell = axis.cells("000.00.02.H99", "000.00.02.H99,2026/01/15,5/SNV-VP")[0]
    states = axis_client.messages.DeliveryState
    print(states.Name(cell.delivery_state).removeprefix("DELIVERY_STATE_"), "at the receiver")
