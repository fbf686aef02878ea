"""Word lists of our own: rooms, floors, people, devices, things, and made-up names."""

from __future__ import annotations

import random

ROOMS = """kitchen|living room|bedroom|bathroom|hallway|garage|office|dining room|
basement|attic|nursery|laundry room|guest room|study|den|porch|patio|garden|balcony|
cellar|pantry|entryway|foyer|master bedroom|kids room|playroom|family room|workshop|
shed|utility room|conservatory|loft|corridor|closet|library|gym|game room|sun room|
lounge|stairs|staircase|landing|terrace|backyard|front yard|driveway|mud room|
music room|home office|walk in closet|greenhouse|pool house|sauna|toilet|wc|
powder room|ensuite|guest bathroom|spare room|back room|front room|tv room|
media room|home cinema|cinema room|boiler room|storage room|hobby room|craft room|
wine cellar|bar|kitchenette|breakfast room|main bedroom|upstairs bathroom|
downstairs bathroom|children's room|boys room|girls room|baby room|parlor|studio|
carport|deck|veranda|courtyard|vestibule|scullery|larder|snug|orangery|man cave|
computer room|server room|sewing room|reading room|dressing room|shower room|
rec room|common room|sitting room|drawing room|mezzanine|annex|barn|stable|hall|
boot room|coat room|box room|bunk room|cloakroom|crawl space|darkroom|gallery|
dining area|fitness room|garden shed|granny flat|linen closet|lobby|lunch room|
maid's room|meeting room|nook|patio area|play area|prayer room|reception|roof terrace|
salon|school room|screening room|server closet|side yard|sleeping room|solarium|spa|
steam room|still room|summer house|sunroom|tack room|teen room|tool shed|trophy room|
waiting room|washroom|wet room|woodshed|yoga room|back porch|back garden|front garden|
front hall|back hall|main hall|second bedroom|third bedroom|first bathroom|
second bathroom|small bedroom|big bedroom|master bathroom|kids bathroom|living area|
kitchen area|entrance hall|alcove|bay|cabin|chamber|cave|hut|treehouse|pier|pool|yard|
lawn|field|orchard""".replace("\n", "").split("|")

ROOM_HEADS = ["room", "bedroom", "bathroom", "office", "study", "suite", "corner", "hall"]

FLOORS = """upstairs|downstairs|ground floor|first floor|second floor|third floor|top floor|
basement floor|main floor|upper floor|lower floor|attic floor|middle floor|
bottom floor|fourth floor|lower level|upper level|main level|cellar floor|
fifth floor|sixth floor|seventh floor|eighth floor|ninth floor|tenth floor|eleventh floor|
twelfth floor|1st floor|2nd floor|3rd floor|4th floor|5th floor|6th floor|7th floor|
garden floor|loft floor|street floor|roof floor|penthouse floor|mezzanine floor|
ground level|street level|garden level|top level|bottom level|second level|third level|
floor one|floor two|floor three|floor four|floor five|level one|level two|level three|level four""".replace("\n", "").split("|")

PEOPLE = """anna|tom|lucy|max|emma|john|maria|peter|sara|alex|jack|olivia|noah|mia|leo|ella|
lena|paul|julia|david|kate|mark|nina|oscar|ruby|sam|tina|viktor|wendy|zoe|mum|dad|
grandma|grandpa|charlie|daisy|felix|george|hannah|ivan|james|karen|liam|molly""".replace("\n", "").split("|")

ADJECTIVES = """left|right|front|back|big|small|old|new|tall|little|round|blue|red|green|white|
black|wooden|glass|main|side|corner|upper|lower|inner|outer|east|west|north|south|
center|middle|rear|long|short|antique|modern|smart|spare|guest|work|night|
morning|evening|summer|winter|first|second|third|vintage|copper|brass|crystal|
silver|golden|paper|moon|star|sun|lava|salt|piano|mirror|window|bed|sofa|couch|
table|shelf|cabinet|counter|island|sink|stove|vanity|wardrobe|stairway|pathway|
pond|tree|gate|fence|wall|floor|ceiling|pendant|desk|reading|bedside|standing|
hanging|accent|display|bookcase|fireplace|aquarium|workbench|entrance""".replace("\n", "").split("|")

LIGHT_NOUNS = ["lamp"] * 6 + """light|light|spotlight|lantern|light strip|led strip|chandelier|bulb|sconce|
uplighter|night light|spot|downlight|floodlight|strip""".replace("\n", "").split("|")
LIGHT_NAMES = """fairy lights|christmas lights|string lights|hue go|lava lamp|floor lamp|desk lamp|
table lamp|bedside lamp|reading lamp|reading light|night light|ceiling light|
standard lamp|nightstand lamp|mood light|tree lights|under cabinet lights|salt lamp|
wall light|picture light|mirror light|hue play|hue iris|nanoleaf|go light|rope lights|
icicle lights|puck lights|rope light|neon sign|disco ball|glow stick|candle lamp""".replace("\n", "").split("|")
DEVICE_NOUNS = """tv|television|radio|speaker|stereo|coffee machine|coffee maker|kettle|heater|plug|
socket|outlet|switch|humidifier|dehumidifier|air purifier|projector|printer|charger|
washing machine|dishwasher|oven|toaster|computer|boiler|pump|fountain|aquarium|
router|camera|alarm|electric blanket|ceiling fan|desk fan|extractor fan|
air conditioner|ac|thermostat|soundbar|amplifier|console|monitor|fireplace|
towel rail|hot tub|freezer|dryer|siren|heating|mixer|jukebox|ice maker|bread maker|rice cooker|water heater""".replace("\n", "").split("|")
COVER_NOUNS = """blind|curtain|shutter|awning|shade|gate|garage door|roller blind|skylight|
roof window|drape|roller shutter|sunshade|venetian blind|roman blind|
screen|hatch|canopy|barrier|door|window""".replace("\n", "").split("|")
VALVE_NOUNS = """valve|water valve|tap|sprinkler|irrigation valve|gas valve|faucet|main valve|
sprinkler valve|garden tap|radiator valve|stopcock|drip line|shutoff valve""".replace("\n", "").split("|")
BARE_COVERS = "garage door|garage door|skylight|hatch|canopy|barrier|awning|screen|roof window|roller shutter".split("|")
LOCK_NOUNS = """door|front door|back door|lock|gate|safe|padlock|side door|garage door|cellar door|
patio door|door lock|main door|cabinet|mailbox|smart lock|deadbolt|entrance|shed door""".replace("\n", "").split("|")
FAN_NOUNS = "fan|ceiling fan|desk fan|tower fan|fan|ventilator|exhaust fan|extractor fan".split("|")
MEDIA_NOUNS = """tv|television|radio|speaker|speakers|stereo|soundbar|music player|media player|hifi|
record player|receiver|amp|chromecast|apple tv|sonos|homepod|echo|projector|
smart tv|turntable|kodi|roku|shield|boombox""".replace("\n", "").split("|")
CLIMATE_NOUNS = """thermostat|heating|radiator|air conditioner|ac|heat pump|heater|boiler|
climate|underfloor heating|air conditioning|furnace|hvac""".replace("\n", "").split("|")
VACUUM_NAMES = """robby|rosie|dusty|hoover bot|roomba|roborock|dobby|vacuum cleaner robot|cleaner bot|
sir sucks a lot|wall e|dirt devil|mister clean|jeeves|deebot|neato|alfred|bender|
dustin|scooby|garfield|winston|molly maid|suckerberg|scout|buddy|mopsy|rover|rumba|
dyson|dreame|eufy|braava|mister dusty|dustbin|dust bunny|crumbs""".replace("\n", "").split("|")
SENSOR_OPEN = "door|window|front door|back door|fridge|freezer|mailbox|drawer|window|side window|cupboard|lid|balcony door|patio door|cabinet door|skylight window|cellar door|door sensor|window sensor".split("|")
SENSOR_BUSY = "motion sensor|motion|presence sensor|occupancy sensor|motion detector|desk sensor|bed sensor|smoke detector|presence|chair".split("|")

SCENES = """movie night|movie time|good night|goodnight|good morning|dinner|romantic|relax|party|bedtime|
reading|cozy|sunset|sunrise|work|focus|bright|evening|morning|wake up|away|vacation|
cooking|gaming|christmas|chill|date night|nightlight|homework|cinema|welcome home|
story time|bath time|cleaning|guests|energize|arctic aurora|tropical twilight|
savanna sunset|candle light dinner|concentrate|breakfast|lazy sunday|yoga|winter evening|
game night|quiet time|nap time|dinner time|sleep|leaving home|coming home|arrival|late night|
summer night|spring blossom|halloween|thanksgiving|rainy day|date|spa|bath|sports|concert|
dance|lunch|study|meditate|golden hour|deep focus|soft|ambient|dimmed|all white|rest|unwind""".replace("\n", "").split("|")

ITEMS = """milk|eggs|bread|butter|cheese|apples|bananas|orange juice|coffee|tea|sugar|flour|rice|pasta|
tomatoes|potatoes|onions|garlic|chicken|ground beef|salmon|yogurt|cereal|olive oil|
toilet paper|paper towels|dish soap|shampoo|toothpaste|batteries|light bulbs|
dog food|cat litter|almond milk|peanut butter|strawberry jam|honey|lettuce|carrots|
broccoli|spinach|lemons|limes|avocados|frozen pizza|ice cream|chocolate|cookies|
crackers|chips|salsa|beer|red wine|sparkling water|napkins|trash bags|soap|
call the dentist|pay the rent|water the plants|wash the car|mow the lawn|
book a table|feed the cat|clean the gutters|buy a present|pick up the laundry|
fix the bike|change the filter|return the books|renew passport|walk the dog|
two liters of milk|a dozen eggs|three lemons|some ham|bottle of wine|salt and pepper|
fish and chips|mac and cheese|baking powder|vanilla|cinnamon|mushrooms|cucumber|
bell peppers|oat milk|tofu|beans|corn|sausages|bacon|turkey|mustard|ketchup|mayo""".replace("\n", "").split("|")
TIMER_NAMES = """pizza|egg|eggs|pasta|tea|rice|bread|cake|oven|laundry|nap|workout|chicken|coffee|meeting|
homework|bath|dinner|cookie|roast|potato|break|parking|medicine|soup|steak|game|plank|yoga|dishes""".replace("\n", "").split("|")
LISTS = """shopping list|shopping list|shopping list|to do list|todo list|grocery list|groceries|chores|
wish list|packing list|party list|task list|christmas list|hardware store|
to do|reading list|errands|weekly list|bucket list|costco|movies to watch list|
household list|work list|ideas|supermarket|drugstore|pharmacy list|camping list|
birthday list|gift list|honey do list|daily tasks|goals|repairs|garden list|school list|
project list|menu|meal plan|aldi|ikea list|target|vacation list|pet supplies|backlog""".replace("\n", "").split("|")

THINGS = """river|stone|maple|falcon|tiger|cloud|ocean|thunder|pepper|ginger|velvet|marble|cactus|
rocket|pirate|wizard|dragon|penguin|walrus|badger|otter|panda|lemon|cherry|mango|
coral|amber|ivory|olive|scarlet|cobalt|indigo|jade|topaz|pearl|quartz|granite|
breeze|storm|snow|frost|ember|blaze|shadow|echo|nova|comet|orbit|galaxy|nebula|
meadow|forest|canyon|harbor|lagoon|island|summit|valley|desert|prairie|tundra|
puzzle|riddle|button|ribbon|saddle|anchor|compass|lighthouse|windmill|bridge|
tower|castle|cottage|cabin|chapel|market|bakery|factory|museum|theater|station|
hammer|ladder|basket|bottle|teapot|pillow|blanket|carpet|curfew|jungle|kiwi|
violin|trumpet|banjo|cello|drum|guitar|flute|harp|oboe|tuba|yak|zebra|quilt|vortex|
acorn|almond|apron|arrow|aspen|atlas|aurora|autumn|bamboo|banner|barrel|beacon|beaver|
beehive|berry|birch|bison|blossom|bobcat|bonfire|boulder|bramble|brook|bubble|bucket|
buffalo|butterfly|camel|candy|canoe|caramel|caravan|cedar|chestnut|chimney|cinder|
circus|clover|cobra|coconut|condor|cosmos|cottonwood|cougar|coyote|crater|cricket|
crow|cyclone|cypress|dagger|dahlia|dawn|deer|delta|dolphin|domino|donkey|
dove|dune|dusk|eagle|earth|eclipse|elephant|elk|elm|emerald|engine|feather|fern|
ferry|fiddle|fig|firefly|flamingo|flint|fossil|fox|galleon|garnet|gazelle|geyser|giraffe|
glacier|goblin|goose|gorilla|grape|grasshopper|grove|gull|hawk|hazel|hedgehog|helmet|heron|
hickory|hill|holly|horizon|hornet|horse|hound|hurricane|iguana|inferno|iris|iron|ivy|jaguar|
jasmine|jewel|juniper|kangaroo|kestrel|kingdom|koala|larch|lark|laurel|
leopard|lilac|lily|lion|lizard|llama|lobster|locket|lotus|lynx|magnet|magnolia|mammoth|
mantle|marigold|marina|marlin|mermaid|meteor|mint|mirage|mist|moose|mosaic|moth|mountain|
mulberry|mushroom|nectar|needle|nest|nickel|nutmeg|oak|oasis|octopus|onyx|opal|orca|
oregano|osprey|ostrich|owl|oyster|paddle|palace|palm|panther|paprika|parrot|peach|
peacock|pebble|pecan|pelican|peony|phoenix|pigeon|pilot|pine|pistachio|planet|platinum|
pony|poppy|primrose|prism|puffin|puma|pumpkin|python|quail|quill|rabbit|raccoon|rain|
rainbow|raptor|raven|reef|rhino|ridge|robin|rooster|rose|rosemary|rust|saffron|sage|
sahara|sailor|sapphire|satin|savanna|scorpion|seagull|seal|sequoia|shark|shell|shepherd|
signal|silk|sparrow|spider|spruce|squirrel|stallion|stork|sundial|sunflower|swallow|swan|
sycamore|tangerine|tarantula|teak|thistle|thorn|tornado|tortoise|toucan|trail|trident|
trout|tulip|turbine|turtle|twilight|umbrella|unicorn|urchin|viper|volcano|
vulture|walnut|warrior|wasp|waterfall|whale|willow|wolf|wombat|woodpecker|wren|yarrow|yeti|
zephyr|zinnia|alpha|bravo|tango|zulu|omega|sigma|gamma|vector|matrix|
pixel|turbo|rocky|buster|mickey|homer|gandalf|frodo|yoda|vader|batman|robocop""".replace("\n", "").split("|")

# What nearly every house has, or calls so: the split leaves it in training.
EVERY_HOUSE = frozenset([*ROOMS[:56], *FLOORS[:8], *LIGHT_NAMES, *TIMER_NAMES, *LISTS[:10], *SCENES[:24], *MEDIA_NOUNS[:8], *CLIMATE_NOUNS, *BARE_COVERS, "mailbox", "coffee machine"])

_ONSETS = "b c d f g h j k l m n p qu r s t v w x y z bl br ch cl cr dr fl fr gl gr kn ph pl pr sc sh sk sl sm sn sp st str sw th tr tw wr zh".split() + [""] * 6
_VOWELS = "a e i o u a e i o u ai au ea ee ei ie io oa oo ou y ue".split()
_CODAS = "b d f g k l m n p r s t x z ck ct ft ld lk ll lm ln lt mb mp nd ng nk nt rd rf rk rl rm rn rt sh sk ss st th tt tz".split() + [""] * 20


def made_up_word(rng: random.Random) -> str:
    """One word that no dictionary holds, over a wide spread of letters.

    As long as the names that people give: mostly two syllables, seldom three. A few are
    bare letters, as models and makers are called.
    """
    if rng.random() < 0.04:
        return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(2, 5)))
    count = rng.choice((1, 1, 2, 2, 2, 2, 2, 3))
    word = "".join(rng.choice(_ONSETS) + rng.choice(_VOWELS) + (rng.choice(_CODAS) if rng.random() < 0.6 else "") for _ in range(count))
    return word if len(word) > 2 else word + rng.choice(("ka", "lo", "ry", "mo", "dex"))


def odd_words(rng: random.Random) -> str:
    """One or two words, made up or drawn from the list of things."""
    roll = rng.random()
    if roll < 0.42:
        return made_up_word(rng)
    if roll < 0.57:
        return rng.choice(THINGS)
    if roll < 0.72:
        return f"{made_up_word(rng)} {made_up_word(rng)}"
    if roll < 0.85:
        return f"{rng.choice(THINGS)} {rng.choice(THINGS)}"
    return f"{rng.choice(ADJECTIVES)} {made_up_word(rng)}"
