"""Small talk: greetings, sums, conversions, colours, calendar, facts, jokes."""

from __future__ import annotations

import random

from .numbers import say, words

Talk = tuple[list[str], str]

CHAT: list[Talk] = [
    (["hello", "hi", "hey", "hi there", "hello there", "good day", "hey there", "greetings", "howdy", "hello house"], "Hello."),
    (["good morning", "morning", "good morning to you", "a very good morning"], "Good morning."),
    (["good evening", "evening", "good evening to you"], "Good evening."),
    (["good night", "night night", "sleep well", "good night to you"], "Good night."),
    (["goodbye", "bye", "bye bye", "see you", "see you later", "good bye", "talk to you later"], "Goodbye."),
    (["(thank you|thanks) [very much|so much|a lot]", "many thanks", "thanks a million", "cheers", "that was helpful", "i appreciate it"], "You are welcome."),
    (["how are you [today|doing]", "how do you do", "how is it going", "are you (ok|okay|well|fine)", "how do you feel", "what's up", "how have you been"], "I am fine, thank you."),
    (["what is your name", "what's your name", "who are you", "what are you called", "tell me your name", "do you have a name", "introduce yourself"], "I am the voice of this house."),
    (["what can you do", "what do you do", "how can you help [me]", "help", "what can i (say|ask)", "what are you able to do"], "I can switch lights, set timers and more."),
    (["are you a (robot|human|person|machine|computer)", "are you (real|alive|human)"], "I am a small program in this house."),
    (["where are you", "where do you live", "where do you run"], "I live on the small boards in this house."),
    (["how old are you", "what is your age", "when were you born"], "I am quite new."),
    (["who made you", "who built you", "who created you", "where do you come from"], "I was made by the people of this project."),
    (["i love you", "i like you", "you are (great|nice|good|the best|awesome|wonderful)", "well done", "good job", "nice work"], "Thank you."),
    (["you are (stupid|bad|useless|dumb)", "i hate you", "you suck"], "I am sorry."),
    (["are you there", "are you listening", "can you hear me", "do you hear me", "are you awake", "test", "testing"], "Yes, I am here."),
    (["i am (tired|sleepy|exhausted)", "i'm tired"], "Then have a good rest."),
    (["i am (hungry|starving)", "i'm hungry"], "Then it is time to eat."),
    (["i am (bored|so bored)", "i'm bored"], "Ask me for a joke."),
    (["i am (sad|unhappy|lonely)", "i'm sad"], "I am sorry to hear that."),
    (["i am (happy|glad)", "i'm happy"], "I am glad to hear that."),
    (["do you (sleep|eat|dream)", "do you ever sleep"], "No, I do not."),
    (["happy birthday", "merry christmas", "happy new year", "happy easter"], "Thank you, the same to you."),
    (["i am home", "i'm home", "i am back"], "Welcome home."),
]

JOKES = [
    "Why did the lamp go to school? It wanted to be brighter.",
    "What do you call a sleeping bull? A bulldozer.",
    "Why was the clock sent out of class? It tocked too much.",
    "What has four wheels and flies? A rubbish truck.",
    "Why did the bicycle fall over? It was two tired.",
    "What do you call a fish without eyes? A fsh.",
]
JOKE_ASKS = [
    ["tell me a joke", "a joke please", "do you know a joke", "make me laugh", "say something funny", "tell a joke"],
    ["tell me an animal joke", "a joke about an animal", "do you know an animal joke", "tell me a joke about a bull"],
    ["tell me a clock joke", "a joke about a clock", "tell me a school joke", "do you know a joke about school"],
    ["tell me a riddle", "a riddle please", "do you know a riddle", "give me a riddle"],
    ["tell me another joke", "another joke", "one more joke", "tell me one more joke", "another one please"],
    ["tell me a fish joke", "a joke about a fish", "do you know a joke about fish"],
]
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
MONTH_DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth".split()
WHAT = "(what is|what's|whats|tell me)"

COLORS: list[Talk] = [([f"what color is {thing}", f"what colour is {thing}", f"which color (is|has) {thing}", f"tell me the color of {thing}", f"what is the color of {thing}"], f"{thing[0].upper() + thing[1:]} {'are' if thing.endswith('s') and thing != 'grass' else 'is'} {color}.") for thing, color in
    [("the sky", "blue"), ("grass", "green"), ("snow", "white"), ("coal", "black"), ("a banana", "yellow"), ("a lemon", "yellow"), ("blood", "red"), ("a carrot", "orange"), ("the sun", "yellow"), ("chocolate", "brown"), ("a strawberry", "red"), ("milk", "white"), ("a tomato", "red"), ("an elephant", "grey"), ("a fire truck", "red"), ("the sea", "blue"), ("a leaf", "green"), ("a plum", "purple"), ("a flamingo", "pink"), ("a polar bear", "white"), ("a frog", "green"), ("a crow", "black")]]
MIXES: list[Talk] = [([f"what do {x} and {y} make", f"(mix|what happens if you mix) {x} and {y}", f"what color do you get from {x} and {y}", f"what do you get (when|if) you mix {x} (and|with) {y}", f"what color is {x} and {y}"], f"{a.capitalize()} and {b} make {c}.") for a, b, c in
    [("blue", "yellow", "green"), ("red", "yellow", "orange"), ("red", "blue", "purple"), ("red", "white", "pink"), ("black", "white", "grey"), ("red", "green", "brown")] for x, y in ((a, b), (b, a))]
CAPITALS = {"France": "Paris", "Germany": "Berlin", "Italy": "Rome", "Spain": "Madrid", "England": "London", "Austria": "Vienna", "Portugal": "Lisbon", "Norway": "Oslo", "Sweden": "Stockholm", "Denmark": "Copenhagen", "Poland": "Warsaw", "Greece": "Athens", "Ireland": "Dublin", "Japan": "Tokyo", "China": "Beijing", "Russia": "Moscow", "Egypt": "Cairo", "Canada": "Ottawa", "the Netherlands": "Amsterdam", "Belgium": "Brussels", "Finland": "Helsinki", "Hungary": "Budapest"}
LEGS = {"a spider": 8, "a dog": 4, "a cat": 4, "a bird": 2, "an ant": 6, "a horse": 4, "a bee": 6, "a snake": 0, "a cow": 4, "a human": 2, "a chicken": 2, "an octopus": 8, "a table": 4}
SOUNDS = {"cat": "meow", "dog": "woof", "cow": "moo", "duck": "quack", "sheep": "baa", "pig": "oink", "horse": "neigh", "owl": "hoot", "rooster": "cock-a-doodle-doo", "lion": "roar", "bee": "buzz", "frog": "croak", "mouse": "squeak", "snake": "hiss"}
FACTS: list[Talk] = [
    (["(what is|which is|what's) the (largest|biggest) planet"], "The largest planet is Jupiter."),
    (["(what is|which is|what's) the smallest planet"], "The smallest planet is Mercury."),
    (["(what is|which is|what's) the (tallest|highest) mountain [in the world|on earth]"], "The highest mountain is Mount Everest."),
    (["(what is|which is|what's) the (largest|biggest) ocean"], "The largest ocean is the Pacific."),
    (["(what is|which is|what's) the (largest|biggest) animal"], "The largest animal is the blue whale."),
    (["(what is|which is|what's) the fastest [land] animal"], "The fastest land animal is the cheetah."),
    (["(what is|which is|what's) the tallest animal"], "The tallest animal is the giraffe."),
    (["how many planets are there", "how many planets does the solar system have", "how many planets are in the solar system"], "There are 8 planets."),
    (["how many continents are there", "how many continents does the earth have"], "There are 7 continents."),
    (["at what temperature does water boil", "when does water boil", "what is the boiling point of water"], "Water boils at 100 degrees Celsius."),
    (["at what temperature does water freeze", "when does water freeze", "what is the freezing point of water"], "Water freezes at 0 degrees Celsius."),
    (["how many days (are in|has|are there in) a year", "how many days does a year have"], "A year has 365 days."),
    (["how many days (are in|has) a leap year", "how many days does a leap year have"], "A leap year has 366 days."),
    (["how many months (are in|are there in|has) a year", "how many months does a year have"], "A year has 12 months."),
    (["how many weeks (are in|are there in|has) a year", "how many weeks does a year have"], "A year has 52 weeks."),
    (["how many seasons are there", "how many seasons (are in|has) a year"], "There are 4 seasons."),
    (["what are the seasons", "name the [four] seasons"], "Spring, summer, autumn and winter."),
    (["name the days of the week", "what are the days of the week"], "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday and Sunday."),
    (["what do bees make", "what does a bee make"], "Bees make honey."),
    (["what do cows (drink|eat)", "what does a cow eat"], "Cows eat grass and drink water."),
    (["how many letters are in the alphabet", "how many letters does the alphabet have"], "The alphabet has 26 letters."),
    (["how many colors (has a|are in a|are in the) rainbow", "how many colors does a rainbow have"], "A rainbow has 7 colors."),
    (["how many (players are in|players has) a football team", "how many players does a football team have"], "A football team has 11 players."),
    (["how many fingers (do i have|does a hand have|are on a hand)"], "A hand has 5 fingers."),
    (["how many strings does a (guitar) have"], "A guitar has 6 strings."),
    (["is the earth (flat|round)", "what shape is the earth", "what is the shape of the earth"], "The earth is round."),
    (["how many sides does a triangle have", "how many (sides|corners) has a triangle"], "A triangle has 3 sides."),
    (["how many sides does a square have", "how many (sides|corners) has a square"], "A square has 4 sides."),
    (["how many sides does a hexagon have", "how many sides has a hexagon"], "A hexagon has 6 sides."),
    (["what is the opposite of hot"], "The opposite of hot is cold."), (["what is the opposite of big"], "The opposite of big is small."),
    (["what is the opposite of up"], "The opposite of up is down."), (["what is the opposite of day"], "The opposite of day is night."),
]
UNITS = [("meter", "centimeters", 100), ("kilometer", "meters", 1000), ("kilogram", "grams", 1000), ("liter", "milliliters", 1000), ("hour", "minutes", 60), ("minute", "seconds", 60), ("day", "hours", 24), ("week", "days", 7), ("year", "months", 12), ("foot", "inches", 12), ("yard", "feet", 3), ("dozen", "pieces", 12), ("centimeter", "millimeters", 10), ("decade", "years", 10), ("century", "years", 100), ("ton", "kilograms", 1000), ("pound", "ounces", 16)]
_PLURAL = {"foot": "feet", "century": "centuries", "dozen": "dozen"}


def _sum(rng: random.Random) -> Talk:
    roll = rng.random()
    a, b = rng.randint(0, 12), rng.randint(0, 12)
    x, y = (say(a, rng), say(b, rng))
    if roll < 0.45:
        return [f"{WHAT} {x} (plus|and|+) {y}", f"how much is {x} (plus|and|+) {y}", f"{x} plus {y}", f"add {x} and {y}", f"what does {x} plus {y} make", f"calculate {x} plus {y}"], f"{a} plus {b} is {a + b}."
    if roll < 0.75:
        a, b = max(a, b), min(a, b)
        x, y = (say(a, rng), say(b, rng))
        return [f"{WHAT} {x} (minus|-) {y}", f"how much is {x} (minus|take away) {y}", f"{x} minus {y}", f"subtract {y} from {x}", f"calculate {x} minus {y}"], f"{a} minus {b} is {a - b}."
    a, b = rng.randint(0, 10), rng.randint(0, 10)
    x, y = (say(a, rng), say(b, rng))
    return [f"{WHAT} {x} (times|multiplied by|x) {y}", f"how much is {x} times {y}", f"{x} times {y}", f"multiply {x} by {y}", f"calculate {x} times {y}"], f"{a} times {b} is {a * b}."


def _convert(rng: random.Random) -> Talk:
    unit, small, factor = rng.choice(UNITS)
    if rng.random() < 0.5:
        return [f"how many {small} (are in|are there in|has|make) (a|an|one) {unit}", f"how many {small} is (a|an|one) {unit}", f"convert (a|one) {unit} to {small}", f"how many {small} does (a|one) {unit} have", f"how many {small} are one {unit}"], f"One {unit} is {factor} {small}."
    n = rng.randint(2, 10)
    many = _PLURAL.get(unit, unit + "s")
    x = say(n, rng)
    return [f"how many {small} (are|are in|are there in|make|is) {x} {many}", f"convert {x} {many} to {small}", f"{x} {many} in {small}", f"what is {x} {many} in {small}"], f"{words(n).capitalize() if n < 0 else n} {many} are {n * factor} {small}."


def _calendar(rng: random.Random) -> Talk:
    kind = rng.randrange(6)
    d, m = rng.randrange(7), rng.randrange(12)
    if kind == 0:
        return [f"(what|which) day (comes|is) after {DAYS[d]}", f"what comes after {DAYS[d]}", f"what is the day after {DAYS[d]}"], f"The day after {DAYS[d]} is {DAYS[(d + 1) % 7]}."
    if kind == 1:
        return [f"(what|which) day (comes|is) before {DAYS[d]}", f"what comes before {DAYS[d]}", f"what is the day before {DAYS[d]}"], f"The day before {DAYS[d]} is {DAYS[d - 1]}."
    if kind == 2:
        return [f"(what|which) month (comes|is) after {MONTHS[m]}", f"what comes after {MONTHS[m]}", f"what is the month after {MONTHS[m]}"], f"The month after {MONTHS[m]} is {MONTHS[(m + 1) % 12]}."
    if kind == 3:
        return [f"(what|which) month (comes|is) before {MONTHS[m]}", f"what comes before {MONTHS[m]}", f"what is the month before {MONTHS[m]}"], f"The month before {MONTHS[m]} is {MONTHS[m - 1]}."
    if kind == 4:
        return [f"how many days (has|are in|does|are there in) {MONTHS[m]}" + rng.choice(("", " have")), f"how many days are in {MONTHS[m]}", f"how long is {MONTHS[m]}"], f"{MONTHS[m]} has {MONTH_DAYS[m]} days."
    return [f"what is the {ORDINALS[m]} month [of the year]", f"which month is the {ORDINALS[m]}", f"name the {ORDINALS[m]} month"], f"The {ORDINALS[m]} month is {MONTHS[m]}."


def _fact(rng: random.Random) -> Talk:
    roll = rng.random()
    if roll < 0.3:
        country, city = rng.choice(list(CAPITALS.items()))
        return [f"{WHAT} the capital of {country}", f"capital of {country}", f"which city is the capital of {country}", f"name the capital of {country}", f"do you know the capital of {country}"], f"The capital of {country} is {city}."
    if roll < 0.45:
        animal, n = rng.choice(list(LEGS.items()))
        return [f"how many legs (has|does) {animal}" + rng.choice((" have", "")), f"how many legs does {animal} have", f"tell me how many legs {animal} has"], f"{animal.capitalize()} has {n} legs."
    if roll < 0.6:
        animal, sound = rng.choice(list(SOUNDS.items()))
        return [f"what does (a|the) {animal} say", f"what sound does (a|the) {animal} make", f"how does a {animal} (go|sound)", f"what noise does a {animal} make"], f"A {animal} says {sound}."
    return rng.choice(FACTS)


def talk(rng: random.Random) -> tuple[str, str]:
    """One template of small talk, and its answer."""
    roll = rng.random()
    if roll < 0.18:
        asks, answer = rng.choice(CHAT)
    elif roll < 0.24:
        i = rng.choice((0, 0, 0, rng.randrange(len(JOKES))))
        asks, answer = JOKE_ASKS[i], JOKES[i]
    elif roll < 0.48:
        asks, answer = _sum(rng)
    elif roll < 0.62:
        asks, answer = _convert(rng)
    elif roll < 0.75:
        asks, answer = rng.choice(rng.choice((COLORS, COLORS, MIXES)))
    elif roll < 0.86:
        asks, answer = _calendar(rng)
    else:
        asks, answer = _fact(rng)
    return rng.choice(asks), answer
