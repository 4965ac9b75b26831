"""Writes the texts that both engines measure: `bulk.json`, 64 texts of 92 to 256 tokens, and `queries.json`, of ten.

    /tmp/rivals-venv/bin/python benches/embed_rivals/texts.py MODEL_DIR OUT_DIR

Both are JSON lists of strings, the same on every machine. Tokens are the model's, [CLS] and [SEP] counted. A bulk text
is whole English sentences, the last one cut so that the lengths are spread evenly; none is truncated by the model. The
order is mixed, so that an engine that wants neighbours of one length has to sort.
"""

import argparse
import json
import pathlib
import random

from tokenizers import Tokenizer

COUNT, SHORTEST, LONGEST = 64, 92, 256
QUERY_TOKENS = 10
SENTENCES = """
The ferry leaves the harbour at six in the morning, when the fog still hides the lighthouse and the gulls are asleep.
Nobody in the village could remember a winter in which the river had frozen all the way down to the old stone bridge.
A good index is like a patient librarian: it knows where every book stands, and it never has to read one to find it.
Bread needs flour, water, salt and time, and of these four it is time that most recipes are ashamed to ask for.
The committee met twice in March, disagreed about almost everything, and published a report of two hundred pages.
If the pump runs for more than ten minutes without a pause, switch it off and check the filter for sand.
Photosynthesis turns light, water and carbon dioxide into sugar, and gives away the oxygen that we breathe.
She kept the letters in a biscuit tin under the stairs, tied with green ribbon and sorted by the year of their stamps.
The database writes each change to a log before it touches the table, so that a crash loses nothing that was promised.
Our guide explained that glaciers do not melt only from above; warm sea water eats them from below as well.
To renew a passport, bring the old one, two recent photographs, and proof that you live where you say you live.
Trains between the two cities run every half hour on weekdays and once an hour on Sundays and public holidays.
The defendant argued that the contract was void, because it had been signed by someone without authority to do so.
In the first chapter the detective arrives by accident, and in the last one she leaves on purpose.
Unemployment fell to 4.2 percent in the third quarter, while wages in manufacturing rose faster than prices.
Most spiders have eight eyes, yet many of them find their way by touch and by the trembling of a single thread.
Before you replace the battery, disconnect the charger, hold the power button for thirty seconds, and remove the screws.
The orchestra tuned for so long that some of the children believed the concert had already begun.
Vaccines teach the immune system to recognise a virus by showing it a harmless part of the real thing.
We measured the temperature of the lake at five depths, every day at noon, from the first of May until late September.
Customers who cancel within fourteen days get their money back; later, they get a voucher for the same amount.
The castle was built in 1284, burned down in 1499, and has been a rather expensive hotel since the nineteen sixties.
A compiler that refuses to guess is annoying in the first week and a good friend for the rest of the project.
Heavy rain is expected along the coast tonight, with gusts of up to ninety kilometres per hour on exposed hills.
He learned chess from his grandmother, who played without mercy and offered a slice of plum cake after every defeat.
Coral reefs cover less than one percent of the ocean floor and are home to a quarter of all known marine species.
Please do not feed the ponies: they have enough grass, and bread makes them ill.
The museum bought the painting for a small sum in 1931 and found the signature of a famous pupil when it was cleaned.
When two threads wait for each other, neither of them is wrong, and that is why such mistakes are so hard to find.
Olive trees grow slowly, bear fruit after seven years or so, and may outlive the house that was built beside them.
The court of appeal upheld the fine but reduced it by a third, since the company had reported the leak itself.
Astronomers weigh a distant star by watching how strongly it pulls on the planets and companions that circle it.
At the end of every shift, count the cash, lock the drawer, and write both totals into the blue book.
Silk came along the old roads from the east, and with it came paper, apricots, stories and now and then the plague.
The patient slept badly, complained of headaches in the morning, and felt better after a short walk in the garden.
A search that returns ten good answers in a second is worth more than one that returns a perfect answer tomorrow.
Copper conducts electricity better than iron, does not rust, and can be melted down and used again without loss.
Two of the runners missed the turn at the chapel and were found hours later in the next valley, eating soup.
The new law obliges landlords to repair a broken heating within three days during the cold half of the year.
Bees tell one another where the flowers are by dancing, and the angle of the dance is the angle to the sun.
Every message carries the time at which it was sent, but clocks disagree, so the order of events is a matter of care.
The soup should simmer for an hour; add the beans late, the parsley later, and the lemon when the pot is off the stove.
Tourists admire the square for its arcades, while the people who live there value it for the shade in August.
The engine failed its first test because a bolt was a tenth of a millimetre too long, and nobody had measured it.
Insurance covers damage by storm, hail and falling trees, but not by a window that was left open.
Children under twelve travel free when they are with an adult who holds a ticket for the whole line.
The poet crossed out the same line four times and then restored it, which tells us something about the fifth version.
Store the backup in another building, encrypt it, and try once a month whether it can still be read.
""".strip().splitlines()
QUERY_FORMS = ("How do I {} {}?", "Who may {} {} now?", "Can we {} {} today?", "Where can they {} {}?")
VERBS = ("change", "find", "open", "repair", "cancel", "print", "sell", "move")
THINGS = ("the old contract", "a broken window", "the last report", "my train ticket", "a second account")


def bulk_texts(tokenizer):
    source = random.Random(1)
    texts = []
    for index in range(COUNT):
        goal = SHORTEST + round(index * (LONGEST - SHORTEST) / (COUNT - 1))
        words = " ".join(source.sample(SENTENCES, len(SENTENCES))).split()
        # A word is one token or more, so the goal is met from above; the shortest text has to stay within the bounds.
        while (count := len(tokenizer.encode(" ".join(words)).ids)) > goal:
            words = words[:-max(1, (count - goal) // 2)]
        texts.append(" ".join(words))
    source.shuffle(texts)
    return texts


def query_texts(tokenizer):
    texts = [form.format(verb, thing) for verb in VERBS for thing in THINGS for form in QUERY_FORMS]
    return [text for text in texts if len(tokenizer.encode(text).ids) == QUERY_TOKENS]


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("model_dir", type=pathlib.Path)
    options.add_argument("out_dir", type=pathlib.Path)
    args = options.parse_args()
    tokenizer = Tokenizer.from_file(str(args.model_dir / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    args.out_dir.mkdir(parents=True, exist_ok=True)
    for name, texts in (("bulk", bulk_texts(tokenizer)), ("queries", query_texts(tokenizer))):
        (args.out_dir / f"{name}.json").write_text(json.dumps(texts, indent=0) + "\n")
        counts = [len(tokenizer.encode(text).ids) for text in texts]
        print(f"{name}.json: {len(texts)} texts, {min(counts)} to {max(counts)} tokens, {sum(counts)} in all")


if __name__ == "__main__":
    main()
