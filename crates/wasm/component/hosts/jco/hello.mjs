// The least that a program does with the component. The component's file is the argument.
import { component } from './component.mjs';

const instance = await component(process.argv[2]);
const { Heap } = (await instance()).heap;
const heap = Heap.create({ label: 'hello' });
const region = heap.createRegion({ name: 'words' });
const word = region.allocString('Gewölbe');

const reading = word.borrowShared();
console.log(`${reading.text()}, ${word.length()} bytes`);

try {
  word.borrowUnique();
} catch (refusal) {
  console.log(`refused: ${refusal.code}, ${heap.holders(refusal.about).length} in the way`);
}

// What is collected is dropped some time; a borrow is ended at once. In Node 24 `using` does it.
reading[Symbol.dispose ?? Symbol.for('dispose')]();
region.close();
