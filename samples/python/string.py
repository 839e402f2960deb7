"""A string in a shared heap: one attachment publishes it, another finds it by its name and reads it.

Prints:

    grüezi: 7 bytes
    b'gr' is read in place
"""

import os

from weaveheap import Heap


def main() -> None:
    name = f"sample-{os.getpid()}"
    with Heap.create(name) as heap:
        try:
            with heap.region(name="words") as region:
                heap.publish("greeting", region.string("grüezi").handle)

                # Any process of this user can do this; here it is the same one, attached a second time.
                with Heap.open(name) as other:
                    found = other.buffer(other.lookup("greeting", timeout=5))
                    print(f"{found.text()}: {len(found)} bytes")
                    with found.borrow_shared() as view, memoryview(view) as shown:
                        print(bytes(shown[:2]), "is read in place")
        finally:
            Heap.remove(name)


if __name__ == "__main__":
    main()
